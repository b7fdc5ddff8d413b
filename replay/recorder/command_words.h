// What the words of a command say of the program that it runs.
#pragma once

#include <span>
#include <string>

namespace samestep {

// True for the name or path of a Python: "python", "/usr/bin/python3.11".
[[nodiscard]] bool is_python(const std::string& word);
// What people call the program: the file name of the script or the module that a Python is given first ("train.py",
// "package.train"), else of the program itself.
[[nodiscard]] std::string program_name(std::span<const std::string> argv);

}  // namespace samestep
