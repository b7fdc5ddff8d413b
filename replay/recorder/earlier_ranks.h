// What a recorder that continues a run finds in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>

#include "replay/recorder/session_log.h"

namespace samestep {

// Where each rank of the run stands. What the recorder before could not write down of its segments, because it was
// killed or its disk failed, is read from the logs and put into `manifest`. Throws BrokenInput where the run is
// damaged.
[[nodiscard]] std::map<std::uint32_t, RankState> take_up_earlier_ranks(const std::filesystem::path& run,
                                                                       Manifest& manifest);

}  // namespace samestep
