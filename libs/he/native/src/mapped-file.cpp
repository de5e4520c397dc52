#include "mapped-file.hpp"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include "cpu.hpp"
#include "format-error.hpp"

namespace blindfit {

namespace {

using Identity = std::pair<u64, u64>;

/// A check counts for this long.
constexpr std::chrono::minutes CHECK_COUNTS(10);
/// A change so soon after another one may leave the same times.
constexpr std::int64_t CLOCK_TICK_NS = 20'000'000;
/// Files whose last checks are remembered.
constexpr std::size_t MOST_CHECKS = 1 << 16;

/// Mappings in use by file. A mapping goes with its last user, and while it is there no other file can have its inode.
struct Registry {
  std::mutex mutex;
  std::map<Identity, std::weak_ptr<const MappedFile>> mappings;
  std::map<const void*, std::weak_ptr<const MappedFile>> addresses;
  /// The last checks of files, also of those that are not mapped now.
  std::map<Identity, FileCheck> checks;
};

Registry& registry() {
  static Registry* shared = new Registry;  // never destroyed: threads may end after static destructors ran
  return *shared;
}

Identity identity_of(dev_t device, ino_t inode) { return {static_cast<u64>(device), static_cast<u64>(inode)}; }

std::int64_t nanoseconds(const struct timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

/// @returns a check that counts for nothing when the file changed just now
FileCheck check_of(const struct stat& status) {
#ifdef __APPLE__
  const std::int64_t modified = nanoseconds(status.st_mtimespec), changed = nanoseconds(status.st_ctimespec);
#else
  const std::int64_t modified = nanoseconds(status.st_mtim), changed = nanoseconds(status.st_ctim);
#endif
  struct timespec now {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (nanoseconds(now) - changed < CLOCK_TICK_NS) return {};
  return {modified, changed, std::chrono::steady_clock::now()};
}

bool still_counts(const FileCheck& last, const FileCheck& now) {
  return last.changed != 0 && last.changed == now.changed && last.modified == now.modified &&
         now.at - last.at < CHECK_COUNTS;
}

bool checksums_match(Bytes bytes) {
  u64 header = 0, content = 0;
  std::memcpy(&header, bytes.data() + FILE_CHECKSUM, sizeof header);
  std::memcpy(&content, bytes.data() + FILE_CONTENT_CHECKSUM, sizeof content);
  return header_checksum(bytes.data()) == header &&
         kernels_here().front()->checksum(reinterpret_cast<const u64*>(bytes.data() + FILE_HEADER),
                                          (bytes.size() - FILE_HEADER) / sizeof(u64)) == content;
}

struct Descriptor {
  int number;
  Descriptor(const std::string& path, const std::string& what) : number(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (number < 0) throw std::system_error(errno, std::generic_category(), "cannot open the " + what + " " + path);
  }
  ~Descriptor() { ::close(number); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path, const std::string& what, bool whole) {
  const Descriptor file(path, what);
  struct stat status {};
  if (::fstat(file.number, &status) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot look at the " + what + " " + path);
  if (!S_ISREG(status.st_mode))
    throw FormatError("the " + what + " " + path + " cannot be used: it is no regular file", true);
  if (status.st_size <= 0) throw FormatError("the " + what + " " + path + " cannot be used: it is empty", true);
  const Identity identity = identity_of(status.st_dev, status.st_ino);
  Registry& shared = registry();
  const std::lock_guard lock(shared.mutex);
  if (const auto known = shared.mappings.find(identity); known != shared.mappings.end()) {
    if (auto mapping = known->second.lock(); mapping && mapping->size_ == static_cast<std::size_t>(status.st_size))
      return mapping;
  }
  const auto expired = [](const auto& entry) { return entry.second.expired(); };
  std::erase_if(shared.mappings, expired);
  std::erase_if(shared.addresses, expired);
  const std::size_t size = static_cast<std::size_t>(status.st_size);
  int flags = MAP_SHARED;
#ifdef MAP_POPULATE
  if (whole) flags |= MAP_POPULATE;
#else
  static_cast<void>(whole);
#endif
  void* address = ::mmap(nullptr, size, PROT_READ, flags, file.number, 0);
  if (address == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "cannot map the " + what + " " + path);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(address, size,
          MADV_HUGEPAGE);  // a wish, for what must be read from the disk again; pages in memory are mapped as they are
#endif
  const auto last = shared.checks.find(identity);
  std::shared_ptr<const MappedFile> mapping(
      new MappedFile(path, status, address, last == shared.checks.end() ? FileCheck{} : last->second));
  shared.mappings[identity] = mapping;
  shared.addresses[address] = mapping;
  return mapping;
}

std::shared_ptr<const MappedFile> MappedFile::at(const void* address) {
  Registry& shared = registry();
  const std::lock_guard lock(shared.mutex);
  const auto found = shared.addresses.find(address);
  return found == shared.addresses.end() ? nullptr : found->second.lock();
}

MappedFile::MappedFile(const std::string& path, const struct stat& status, void* address, const FileCheck& last)
    : path_(path),
      device_(status.st_dev),
      inode_(status.st_ino),
      address_(address),
      size_(static_cast<std::size_t>(status.st_size)),
      last_(last) {}

bool MappedFile::intact() const {
  const std::lock_guard lock(mutex_);
  if (damaged_) return false;
  struct stat status {};
  // A file that was removed cannot be written to by its name: its times stay the ones of the last look.
  const bool there = ::stat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  const FileCheck now = there ? check_of(status) : FileCheck{-1, -1, std::chrono::steady_clock::now()};
  if (still_counts(last_, now)) return true;
  damaged_ = (there && status.st_size != static_cast<off_t>(size_)) || !checksums_match(bytes());
  last_ = damaged_ ? FileCheck{} : now;
  Registry& shared = registry();
  const std::lock_guard registry_lock(shared.mutex);
  const Identity identity = identity_of(device_, inode_);
  if (!there) return !damaged_;
  if (shared.checks.size() >= MOST_CHECKS) shared.checks.clear();
  shared.checks[identity] = last_;
  return !damaged_;
}

u64 header_checksum(const std::uint8_t* header) {
  u64 hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < FILE_HEADER; i++) {
    if (i < FILE_CHECKSUM || i >= FILE_CHECKSUM + sizeof(u64)) hash = (hash ^ header[i]) * 0x100000001b3;
  }
  return hash;
}

MappedFile::~MappedFile() { ::munmap(address_, size_); }

}  // namespace blindfit
