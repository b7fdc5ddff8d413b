#include "replay/run/open_log.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "replay/run/error.h"
#include "replay/run/format.h"

namespace samestep {
namespace {

// Which file it is, whatever it is called: as HDF5 itself tells.
using Identity = std::pair<dev_t, ino_t>;

std::map<Identity, std::weak_ptr<OpenLog>>& open_logs() {
  static std::map<Identity, std::weak_ptr<OpenLog>> logs;
  return logs;
}

}  // namespace

std::shared_ptr<OpenLog> OpenLog::open(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) throw BrokenInput("cannot open " + file.string() + ": there is no such file");
  const Identity identity{info.st_dev, info.st_ino};
  auto& logs = open_logs();
  std::erase_if(logs, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = logs.find(identity); found != logs.end()) {
    auto log = found->second.lock();
    log->look_again();
    return log;
  }
  std::shared_ptr<OpenLog> log(new OpenLog(file));
  logs[identity] = log;
  return log;
}

OpenLog::OpenLog(const std::filesystem::path& file) : name_(file.string()), h5_(hdf5::open_file(file)) {}

// The row that is written last is looked at first: what it counts is whole in every other dataset.
void OpenLog::look_again() {
  const auto counting = rowsets_.find(format::log_chain);
  if (counting != rowsets_.end()) look_again(counting->first, counting->second);
  for (auto& [path, rowset] : rowsets_)
    if (path != format::log_chain) look_again(path, rowset);
}

void OpenLog::look_again(const std::string& path, Rowset& rowset) const {
  const std::string what = name_ + ": " + path;
  hdf5::refresh(rowset.dataset.get(), what);
  rowset.dims = hdf5::extent(rowset.dataset.get(), what);
}

const OpenLog::Rowset& OpenLog::rows(const Rows& rows) {
  const auto found = rowsets_.find(rows.path);
  if (found != rowsets_.end()) return found->second;
  const std::string what = name_ + ": " + rows.path;
  Rowset entry{hdf5::open_dataset(h5_.get(), rows.path, name_), type_of(rows.element), {}};
  look_again(rows.path, entry);
  std::vector<hsize_t> chunk = rows.row;
  chunk.insert(chunk.begin(), 1);
  const bool fits = hdf5::has_type(entry.dataset.get(), entry.type.get(), what) &&
                    hdf5::chunk(entry.dataset.get(), what) == chunk && entry.dims.size() == chunk.size() &&
                    std::equal(rows.row.begin(), rows.row.end(), entry.dims.begin() + 1);
  if (!fits) throw BrokenInput(what + " has another type or shape than the format says");
  return rowsets_.emplace(rows.path, std::move(entry)).first->second;
}

}  // namespace samestep
