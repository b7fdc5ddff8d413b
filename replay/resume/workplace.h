// Where a command runs without changing anything of the user's: in a view of its folder, or, where the machine allows
// none, in a copy of it.
#pragma once

#include <filesystem>
#include <optional>

#include "replay/resume/resume_check.h"
#include "replay/view/view.h"

namespace samestep {

class Workplace {
 public:
  // `lasting`: a command finds what those before it wrote there; else each finds the folder as it is outside. `copy`:
  // the folder's place without views; made at the first start. Throws as View does.
  Workplace(const ResumeOptions& options, bool lasting, std::filesystem::path copy);

  // Before each start; everything that an earlier one started has ended. Throws BrokenInput where the folder cannot be copied.
  void prepare();
  [[nodiscard]] const std::filesystem::path& cwd() const { return in_place_ ? copy_ : cwd_; }
  [[nodiscard]] Enclosure* enclosure() { return view_ ? &*view_ : nullptr; }
  [[nodiscard]] bool in_view() const { return view_.has_value(); }

 private:
  std::filesystem::path cwd_, copy_;
  bool in_place_, lasting_, used_ = false;
  std::optional<View> view_;
};

// Copies a folder: regular files, folders and links as they are, nothing else; not the recordings in samestep-runs, and
// not `to` itself where it lies in `from`. Throws BrokenInput where a file cannot be read or written, or where the disk
// has no room for it.
void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace samestep
