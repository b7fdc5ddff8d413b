// What the words of a command say of the program that it runs.
#pragma once

#include <span>
#include <string>

namespace samestep {

// True for the name or path of a Python: "python", "/usr/bin/python3.11".
[[nodiscard]] bool is_python(const std::string& word);
// The option of a Python among the words ("-I", "-Es") with which it starts without what PYTHONPATH holds or without
// the start-up hook: -I, -E, -S. Empty where there is none.
[[nodiscard]] std::string option_against_hooks(std::span<const std::string> argv);
// What people call the program: the file name of the script or the module that a Python is given first ("train.py",
// "package.train"), else of the program itself.
[[nodiscard]] std::string program_name(std::span<const std::string> argv);

}  // namespace samestep
