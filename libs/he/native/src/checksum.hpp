// The checksum of a file's content, one copy for each instruction set: the files of the kernels include this within
// their own unnamed namespaces. The loop is the one of XXH3 for long inputs, which needs only a multiplication of 32
// bits and reads memory as fast as memory can be read. A changed bit always changes the checksum's eight sums.

/// Words of the key: a stripe of 8 words takes 8 of them, one further than the stripe before; 16 stripes are a block.
struct ChecksumKey {
  u64 words[24];
  constexpr ChecksumKey() : words{} {
    u64 state = 0x626c696e64666974;  // splitmix64 of a fixed start
    for (u64& word : words) {
      u64 z = state += 0x9e3779b97f4a7c15;
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
      z = (z ^ z >> 27) * 0x94d049bb133111eb;
      word = z ^ z >> 31;
    }
  }
};
inline constexpr ChecksumKey CHECKSUM_KEY;

/// @param count a multiple of 8
inline u64 checksum(const u64* words, std::size_t count) {
  constexpr u64 LOW = 0xffffffff, ODD = 0x9e3779b1;
  alignas(64) u64 sums[8];
  for (std::size_t i = 0; i < 8; i++) sums[i] = CHECKSUM_KEY.words[i] * ODD;
  std::size_t stripe = 0;
  for (std::size_t at = 0; at + 8 <= count; at += 8) {
    const u64* key = CHECKSUM_KEY.words + stripe;
    for (std::size_t i = 0; i < 8; i++) {
      const u64 value = words[at + i], mixed = value ^ key[i];
      sums[i ^ 1] += value;
      sums[i] += (mixed & LOW) * (mixed >> 32);
    }
    if (++stripe < 16) continue;
    stripe = 0;
    for (std::size_t i = 0; i < 8; i++) sums[i] = (sums[i] ^ sums[i] >> 47 ^ CHECKSUM_KEY.words[16 + i]) * ODD;
  }
  u64 result = count;
  for (const u64 sum : sums) {
    result = (result ^ sum) * 0x9e3779b97f4a7c15;
    result ^= result >> 29;
  }
  return result;
}
