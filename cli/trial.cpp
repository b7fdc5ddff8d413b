// `samestep trial`: a worker of `samestep bisect`, which starts it here or on a cluster's node.
#include <filesystem>

#include "bisect/worker.h"
#include "cli/answer.h"
#include "cli/verbs.h"

namespace samestep::cli {

void add_trial(CLI::App& app, int& exit_code) {
  auto folder = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("trial", "Do one job of a bisect: `samestep bisect` starts this itself");
  verb->group("");
  verb->add_option("FOLDER", *folder, "where the job lies, and its answer goes")->required();
  verb->footer(footer("samestep trial /project/samestep-runs/20260102T030405Z-bisect/trials/001-021ed1ca0d32",
                      "0 the answer lies in the folder, 2 there is none, 128 + n ended by signal n"));
  verb->callback([folder, &exit_code] { exit_code = work(std::filesystem::absolute(*folder)); });
}

}  // namespace samestep::cli
