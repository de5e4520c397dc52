#include "mapped-file.hpp"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include "format-error.hpp"

namespace blindfit {

namespace {

/// Mappings in use by file. A mapping goes with its last user, and while it is there no other file can have its inode.
struct Registry {
  std::mutex mutex;
  std::map<std::pair<u64, u64>, std::weak_ptr<const MappedFile>> mappings;
};

Registry& registry() {
  static Registry* shared = new Registry;  // never destroyed: threads may end after static destructors ran
  return *shared;
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
    throw FormatError("the " + what + " " + path + " cannot be used: it is no regular file");
  if (status.st_size <= 0) throw FormatError("the " + what + " " + path + " cannot be used: it is empty");
  const std::pair<u64, u64> identity{static_cast<u64>(status.st_dev), static_cast<u64>(status.st_ino)};
  Registry& shared = registry();
  const std::lock_guard lock(shared.mutex);
  if (const auto known = shared.mappings.find(identity); known != shared.mappings.end()) {
    if (auto mapping = known->second.lock()) return mapping;
  }
  std::erase_if(shared.mappings, [](const auto& entry) { return entry.second.expired(); });
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
  std::shared_ptr<const MappedFile> mapping(new MappedFile(address, size));
  shared.mappings[identity] = mapping;
  return mapping;
}

MappedFile::~MappedFile() { ::munmap(address_, size_); }

}  // namespace blindfit
