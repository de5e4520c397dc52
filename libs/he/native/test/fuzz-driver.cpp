// Drives the fuzz target without libFuzzer: `fuzz-driver RUNS SEED FILE...` mutates the files, always in the same way.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

using namespace blindfit;

namespace {

using Input = std::vector<std::uint8_t>;

/// Places near the frames, where most of what is parsed lies, or anywhere.
std::size_t place(Random& random, std::size_t size) {
  return random.below(random.below(4) == 0 ? size : std::min<std::size_t>(size, 256));
}

void mutate(Random& random, Input& input, const std::vector<Input>& seeds) {
  if (input.empty()) return;
  const u64 interesting[] = {0,
                             1,
                             2,
                             3,
                             15,
                             16,
                             17,
                             0x7f,
                             0x80,
                             0xff,
                             0xffff,
                             1 << 20,
                             0x7fffffff,
                             0x80000000,
                             0xffffffff,
                             u64{1} << 61,
                             ~u64{0} / 8,
                             ~u64{0} >> 1,
                             u64{1} << 63,
                             ~u64{0} - 15,
                             ~u64{0}};
  switch (random.below(7)) {
    case 0:
      input[place(random, input.size())] ^= static_cast<std::uint8_t>(1 << random.below(8));
      break;
    case 1:
      input[place(random, input.size())] = static_cast<std::uint8_t>(random.next());
      break;
    case 2:
      input.resize(place(random, input.size()));
      break;
    case 3: {
      const u64 value = interesting[random.below(std::size(interesting))];
      const std::size_t at = place(random, input.size());
      std::memcpy(input.data() + at, &value, std::min<std::size_t>(8, input.size() - at));
      break;
    }
    case 4: {  // a number that is off by a little
      const std::size_t at = place(random, input.size());
      if (input.size() - at < 8) break;
      u64 value;
      std::memcpy(&value, input.data() + at, 8);
      value += random.below(33) - 16;
      std::memcpy(input.data() + at, &value, 8);
      break;
    }
    case 5: {  // a piece of another
      const Input& other = seeds[random.below(seeds.size())];
      const std::size_t from = place(random, other.size()), to = place(random, input.size());
      std::memcpy(input.data() + to, other.data() + from,
                  std::min({other.size() - from, input.size() - to, static_cast<std::size_t>(1 + random.below(64))}));
      break;
    }
    default:
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(place(random, input.size())),
                   static_cast<std::uint8_t>(random.next()));
      break;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc > 3, "usage: fuzz-driver RUNS SEED FILE...");
  std::vector<Input> seeds;
  for (int i = 3; i < argc; i++) {
    std::ifstream file(argv[i], std::ios::binary);
    seeds.emplace_back((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    CHECK(!seeds.back().empty(), "%s is empty", argv[i]);
    LLVMFuzzerTestOneInput(seeds.back().data(), seeds.back().size());
  }
  const unsigned long runs = std::strtoul(argv[1], nullptr, 10);
  Random random(std::strtoul(argv[2], nullptr, 10));
  for (unsigned long run = 0; run < runs; run++) {
    Input input = seeds[random.below(seeds.size())];
    for (u64 times = 1 + random.below(4); times > 0; times--) mutate(random, input, seeds);
    input.shrink_to_fit();
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%lu runs\n", runs);
}
