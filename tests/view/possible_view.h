// Whether this machine allows views: some containers and some distributions' settings do not, and then what a test can
// check is how that is told.
#pragma once

#include <string>

namespace samestep::testing {

// "", or the text of the ViewRefused that a view of the temporary folder gives. Asked once.
[[nodiscard]] const std::string& view_refusal();

}  // namespace samestep::testing
