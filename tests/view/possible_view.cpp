#include "tests/view/possible_view.h"

#include <filesystem>

#include "replay/view/view.h"

namespace samestep::testing {

const std::string& view_refusal() {
  static const std::string refusal = []() -> std::string {
    try {
      ViewOptions options;
      options.cwd = std::filesystem::temp_directory_path();
      View(options).probe();
      return "";
    } catch (const ViewRefused& refused) {
      return refused.what();
    }
  }();
  return refusal;
}

}  // namespace samestep::testing
