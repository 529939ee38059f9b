// Sums over dimensions of a tensor (passes.hpp).
#include "passes.hpp"

namespace mulfree::MF_TARGET {

struct SumArgs {
  Rows rows;
  const std::int32_t* x;
  std::int32_t* sums;
  std::int32_t* totals;
};

MF_KERNEL(sums_by_lanes, SumArgs, kThreads) { by_lanes<Plain>(args); }
MF_KERNEL(sums_by_columns, SumArgs, kThreads) { by_columns<Plain>(args); }

MF_KERNEL(totals, SumArgs, kThreads) {
  for_rows(args, [&](std::int64_t row) {
    const Int total = total_of_chunks(args, 0, row);
    if (lane_number() == 0) args.totals[row] = total.v;
  });
}

// Rows of at most 32 terms, one a thread.
MF_KERNEL(short_sums, SumArgs, kThreads) {
  MF_ROLLED
  for (std::int64_t row = global_thread(); row < args.rows.rows; row += all_threads()) {
    Int lanes[kSumLanes];
    Place place = args.rows.place(row, 0);
    MF_UNROLL
    for (int lane = 0; lane < kSumLanes; ++lane) {
      lanes[lane] = lane < args.rows.terms ? args.x[place.at] : 0;
      args.rows.advance(place);
    }
    fold_words<kSumLanes / 2>(lanes);
    args.sums[row] = close_total(lanes[0]).v;
  }
}

}  // namespace mulfree::MF_TARGET
