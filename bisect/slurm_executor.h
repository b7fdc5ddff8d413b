// Workers as jobs of a Slurm cluster. The folders of their jobs, the checkout, the run and this program have to be at
// the same paths on the nodes.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bisect/executor.h"

namespace samestep {

// `options` are sbatch's; `folder` is the bisect's, and is there. Cancels what bisects of this user and machine that
// were killed have left. `say` is told of what Slurm refuses meanwhile. Throws BrokenInput as Slurm does.
[[nodiscard]] std::unique_ptr<Executor> slurm_executor(const std::vector<std::string>& options,
                                                       const std::filesystem::path& folder,
                                                       std::function<void(const std::string&)> say);

}  // namespace samestep
