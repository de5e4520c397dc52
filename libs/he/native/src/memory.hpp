// Memory aligned for vectors, and the scratch space of a thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include "modulus.hpp"

namespace blindfit {

constexpr std::size_t ALIGNMENT = 64;
constexpr std::size_t HUGE_PAGE = std::size_t{2} << 20;

/// Makes glibc return the memory of freed ciphertexts to the system; by default it stays in a heap for each thread.
void tune_allocator();

/// Not zeroed. Freed with std::free. Large blocks ask for huge pages. @throws std::bad_alloc
void* allocate_aligned(std::size_t bytes);

/// A block of words, aligned to 64 bytes, not zeroed.
class WordBuffer {
 public:
  WordBuffer() = default;
  explicit WordBuffer(std::size_t words)
      : words_(words), data_(static_cast<u64*>(allocate_aligned(words * sizeof(u64)))) {}
  u64* data() { return data_.get(); }
  const u64* data() const { return data_.get(); }
  u64& operator[](std::size_t i) { return data_.get()[i]; }
  u64 operator[](std::size_t i) const { return data_.get()[i]; }
  std::size_t size() const { return words_; }

 private:
  struct Free {
    void operator()(u64* p) const { std::free(p); }
  };
  std::size_t words_ = 0;
  std::unique_ptr<u64, Free> data_;
};

/// Scratch words of this thread for one operation. The memory grows to the most that was needed, and is freed with the
/// thread. Blocks from a Scratch are valid until it is destroyed; a thread has at most one Scratch at a time.
class Scratch {
 public:
  /// @param words all that will be taken
  explicit Scratch(std::size_t words);
  /// A multiple of 8 words keeps the next one aligned. @throws std::logic_error when more is taken than was announced
  u64* take(std::size_t words);

 private:
  u64* base_;
  std::size_t words_;
  std::size_t used_ = 0;
};

}  // namespace blindfit
