#include "memory.hpp"
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <stdexcept>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace blindfit {

void tune_allocator() {
#if defined(__GLIBC__)
  // Setting a threshold also stops glibc from raising it by itself.
  constexpr int large = 256 * 1024;
  mallopt(M_MMAP_THRESHOLD, large);
  mallopt(M_TRIM_THRESHOLD, large);
  mallopt(M_ARENA_MAX, 2);
#endif
}

void* allocate_aligned(std::size_t bytes) {
  const bool large = bytes >= 2 * HUGE_PAGE;
  const std::size_t alignment = large ? HUGE_PAGE : ALIGNMENT;
  if (bytes > SIZE_MAX - alignment) throw std::bad_alloc();
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (block == nullptr) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (large) madvise(block, rounded, MADV_HUGEPAGE);  // a wish: nothing is lost when the kernel says no
#endif
  return block;
}

namespace {
thread_local WordBuffer arena;
}

Scratch::Scratch(std::size_t words) : words_(words) {
  if (arena.size() < words) {
    arena = WordBuffer();
    arena = WordBuffer(words);
  }
  base_ = arena.data();
}

u64* Scratch::take(std::size_t words) {
  if (words > words_ - used_) throw std::logic_error("scratch space too small");
  u64* block = base_ + used_;
  used_ += words;
  return block;
}

}  // namespace blindfit
