// Many chunks, or many parents, compressed side by side: one in every lane of a vector word. Included by one
// translation unit for each instruction set and by nobody else.
//
// Those units are compiled with flags of their own (-mavx512f, ...). An inline function that they shared with the rest
// of the program could be kept by the linker in its AVX-512 form and then run on a processor without it. So everything
// here is a template over `Lanes` or always inlined, each unit has a `Lanes` type of its own in an unnamed namespace,
// and nothing of the standard library is called.
//
// A `Lanes` type is a word type of blake3/compress.h that has besides
//   static constexpr std::size_t width                                        words side by side
//   static Lanes load(const std::uint32_t*)                                   width words
//   static void load_blocks(const std::uint8_t* const* rows, Lanes (&m)[16])  m[i] lane l = word i of rows[l]
//   static void store_rows(const Lanes (&cv)[8], std::uint32_t* const* rows)  the reverse, 8 words a row
//   static Lanes where(const std::uint32_t* mask, Lanes a, Lanes b)           lane by lane mask ? a : b (all ones, or 0)
#pragma once

#include "kernels/blake3/batch.h"
#include "kernels/blake3/compress.h"

namespace samestep::blake3 {

// What the lanes of one batch do. Lanes beyond the batch repeat its last job and write to `unused`.
template <class Lanes>
struct ChunkBatch {
  alignas(64) std::uint32_t counter_low[Lanes::width];
  alignas(64) std::uint32_t counter_high[Lanes::width];
  alignas(64) std::uint32_t last_flags[Lanes::width];  // of each lane's last block, less chunk_start
  alignas(64) std::uint32_t length[Lanes::width];      // of each lane's present block
  alignas(64) std::uint32_t flags[Lanes::width];
  alignas(64) std::uint32_t running[Lanes::width];     // all ones until a lane's last block is done
  alignas(64) std::uint8_t padded[Lanes::width][block_size];
  const std::uint8_t* rows[Lanes::width];
  std::uint32_t* cv[Lanes::width];
  const std::uint8_t* data[Lanes::width];
  std::size_t size[Lanes::width];
  std::uint32_t unused[chaining_words];
};

template <class Lanes>
void gather(ChunkBatch<Lanes>& batch, const Chunk* chunks, std::size_t count) {
  for (std::size_t lane = 0; lane < Lanes::width; ++lane) {
    const Chunk& chunk = chunks[lane < count ? lane : count - 1];
    batch.counter_low[lane] = static_cast<std::uint32_t>(chunk.counter);
    batch.counter_high[lane] = static_cast<std::uint32_t>(chunk.counter >> 32);
    batch.last_flags[lane] = chunk_end | chunk.flags;
    batch.data[lane] = chunk.data;
    batch.size[lane] = chunk.size;
    batch.cv[lane] = lane < count ? chunk.cv : batch.unused;
  }
}

// All lanes hold whole chunks: no masks, no padding.
template <class Lanes>
void hash_whole(ChunkBatch<Lanes>& batch) {
  const Lanes low = Lanes::load(batch.counter_low), high = Lanes::load(batch.counter_high);
  Lanes cv[8], m[16];
  start(cv);
  constexpr std::size_t blocks = chunk_size / block_size;
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::size_t lane = 0; lane < Lanes::width; ++lane) {
      batch.rows[lane] = batch.data[lane] + block * block_size;
      // The next chunks of a large tensor lie `width` chunks on; the hardware does not foresee that many streams.
      __builtin_prefetch(batch.rows[lane] + Lanes::width * chunk_size);
    }
    Lanes::load_blocks(batch.rows, m);
    const Lanes flags = block == 0            ? Lanes(chunk_start)
                        : block + 1 == blocks ? Lanes::load(batch.last_flags)
                                              : Lanes(0);
    compress(cv, m, low, high, Lanes(block_size), flags);
  }
  Lanes::store_rows(cv, batch.cv);
}

// Points lane `lane` at its block number `block`, padded with zeros where it is short.
template <class Lanes>
void point_at(ChunkBatch<Lanes>& batch, std::size_t lane, std::size_t block) {
  const std::size_t blocks = blocks_of(batch.size[lane]);
  batch.running[lane] = block < blocks ? ~0u : 0u;
  if (block >= blocks) return;  // the row stays where it is and what is computed from it is dropped
  const std::size_t left = batch.size[lane] - block * block_size;
  const std::size_t length = left < block_size ? left : block_size;
  batch.rows[lane] = batch.data[lane] + block * block_size;
  batch.length[lane] = static_cast<std::uint32_t>(length);
  batch.flags[lane] = (block == 0 ? chunk_start : 0) | (block + 1 == blocks ? batch.last_flags[lane] : 0);
  if (length == block_size) return;
  for (std::size_t i = 0; i < block_size; ++i) batch.padded[lane][i] = i < length ? batch.rows[lane][i] : 0;
  batch.rows[lane] = batch.padded[lane];
}

// Lanes of different lengths: a lane that is done keeps its value while the others go on.
template <class Lanes>
void hash_ragged(ChunkBatch<Lanes>& batch) {
  const Lanes low = Lanes::load(batch.counter_low), high = Lanes::load(batch.counter_high);
  std::size_t blocks = 1;
  for (const std::size_t size : batch.size) blocks = blocks_of(size) > blocks ? blocks_of(size) : blocks;
  Lanes cv[8], next[8], m[16];
  start(cv);
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::size_t lane = 0; lane < Lanes::width; ++lane) point_at(batch, lane, block);
    Lanes::load_blocks(batch.rows, m);
    for (int i = 0; i < 8; ++i) next[i] = cv[i];
    compress(next, m, low, high, Lanes::load(batch.length), Lanes::load(batch.flags));
    for (int i = 0; i < 8; ++i) cv[i] = Lanes::where(batch.running, next[i], cv[i]);
  }
  Lanes::store_rows(cv, batch.cv);
}

template <class Lanes>
void hash_chunks(const Chunk* chunks, std::size_t count) {
  ChunkBatch<Lanes> batch;
  for (std::size_t done = 0; done < count; done += Lanes::width) {
    const std::size_t lanes = count - done < Lanes::width ? count - done : Lanes::width;
    gather(batch, chunks + done, lanes);
    bool whole = true;
    for (const std::size_t size : batch.size) whole = whole && size == chunk_size;
    whole ? hash_whole(batch) : hash_ragged(batch);
  }
}

template <class Lanes>
void hash_parents(const Parent* parents, std::size_t count) {
  alignas(64) std::uint32_t flags[Lanes::width];
  const std::uint8_t* rows[Lanes::width];
  std::uint32_t* out[Lanes::width];
  std::uint32_t unused[chaining_words];
  for (std::size_t done = 0; done < count; done += Lanes::width) {
    for (std::size_t lane = 0; lane < Lanes::width; ++lane) {
      const Parent& job = parents[done + lane < count ? done + lane : count - 1];
      rows[lane] = reinterpret_cast<const std::uint8_t*>(job.children);
      flags[lane] = parent | job.flags;
      out[lane] = done + lane < count ? job.cv : unused;
    }
    Lanes cv[8], m[16];
    start(cv);
    Lanes::load_blocks(rows, m);
    compress(cv, m, Lanes(0), Lanes(0), Lanes(block_size), Lanes::load(flags));
    Lanes::store_rows(cv, out);
  }
}

}  // namespace samestep::blake3
