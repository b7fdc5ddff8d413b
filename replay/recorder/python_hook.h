// Where the Python package's start-up hook lies: the folder that a launched command finds at the head of PYTHONPATH, so
// that a Python in it, wherever it is started from, can be recorded without an edit of its script.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace samestep {

// Relative to this program: in an installation and in an environment that has the wheel (bin/samestep and
// share/samestep/hook), in a build folder. Nullopt where there is none: only C++ programs are recorded.
[[nodiscard]] std::optional<std::filesystem::path> python_hook();

// PYTHONPATH with the hook's folder in front.
[[nodiscard]] std::string with_hook(const std::filesystem::path& hook, const std::string& python_path);

}  // namespace samestep
