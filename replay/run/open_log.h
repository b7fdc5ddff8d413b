// One log's HDF5 file as this process has it open. HDF5 shares what it has cached of a file among all who open it in
// one process, and then never looks again: a second reader of a growing log got the first one's view of it, and a whole
// run read as tampered. So readers of one file share one OpenLog, each dataset is open once, and whoever joins has all
// of them looked at again; what the others have read already stays as it was, for a log only grows.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "replay/run/segment_format.h"

namespace samestep {

class OpenLog {
 public:
  struct Rowset {
    hdf5::Handle dataset, type;
    std::vector<hsize_t> dims;
  };

  // `file`, opened or joined. Throws BrokenInput where it is no HDF5 file. Like all HDF5 calls from one thread only.
  [[nodiscard]] static std::shared_ptr<OpenLog> open(const std::filesystem::path& file);

  [[nodiscard]] hid_t file() const { return h5_.get(); }
  // A dataset of rows, opened when it is first asked for. Throws BrokenInput where type or shape are not the format's.
  [[nodiscard]] const Rowset& rows(const Rows& rows);

 private:
  explicit OpenLog(const std::filesystem::path& file);
  void look_again();
  void look_again(const std::string& path, Rowset& rowset) const;

  std::string name_;
  // Handles of datasets must close before the file's: members are destroyed in reverse order.
  hdf5::Handle h5_;
  std::map<std::string, Rowset> rowsets_;
};

}  // namespace samestep
