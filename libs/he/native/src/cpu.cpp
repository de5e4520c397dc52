#include "cpu.hpp"
#if defined(__x86_64__) && !defined(BLINDFIT_PORTABLE_ONLY)
#include <cpuid.h>
#endif

namespace blindfit {

namespace {

#if defined(__x86_64__) && !defined(BLINDFIT_PORTABLE_ONLY)
struct Features {
  bool avx2 = false;
  bool avx512 = false;
  bool ifma = false;
};

Features detect() {
  Features found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const bool fma = c >> 12 & 1, osxsave = c >> 27 & 1;
  if (!osxsave) return found;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  // What the operating system saves on a switch: XMM and YMM; for AVX-512 also the masks and both parts of ZMM.
  const bool ymm = (low & 0x6) == 0x6, zmm = (low & 0xe6) == 0xe6;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = ymm && fma && (b >> 5 & 1);
  // F, DQ, VL (and BW, which every processor with these three has).
  found.avx512 = found.avx2 && zmm && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 31 & 1) && (b >> 30 & 1);
  found.ifma = found.avx512 && (b >> 21 & 1);
  return found;
}
#endif

std::vector<const Kernel*> find_kernels() {
  std::vector<const Kernel*> found;
#if defined(__x86_64__) && !defined(BLINDFIT_PORTABLE_ONLY)
  const Features features = detect();
  if (features.ifma) found.push_back(&ifma_kernel);
  if (features.avx512) found.push_back(&avx512_kernel);
  if (features.avx2) found.push_back(&avx2_kernel);
#endif
  found.push_back(&portable_kernel);
  return found;
}

}  // namespace

const std::vector<const Kernel*>& kernels_here() {
  static const std::vector<const Kernel*> kernels = find_kernels();
  return kernels;
}

const Kernel& kernel_for(unsigned bits, const Kernel& preferred) {
  bool reached = false;
  for (const Kernel* kernel : kernels_here()) {
    reached = reached || kernel == &preferred;
    if (reached && bits <= kernel->max_bits) return *kernel;
  }
  return portable_kernel;
}

}  // namespace blindfit
