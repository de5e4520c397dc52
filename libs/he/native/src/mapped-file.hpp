// A file mapped into memory, read-only. All threads of the process share one mapping of a file.
//
// The files of hosts lie on disks for months and are read by all later jobs, so a process checks the whole content of a
// file when it uses it first, when its times say that it was written or touched since, and every ten minutes.
#pragma once
#include <sys/stat.h>
#include <cstddef>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include "modulus.hpp"
#include "seal-bytes.hpp"

namespace blindfit {

/// Bytes of the header of a file, and where the checksums of header and content are in it.
constexpr std::size_t FILE_HEADER = 4096, FILE_CHECKSUM = 40, FILE_CONTENT_CHECKSUM = 304;

/// FNV-1a over a header, but for the 8 bytes where the checksum itself is.
u64 header_checksum(const std::uint8_t* header);

/// The state in which a file was found whole.
struct FileCheck {
  /// Times of the last change of content and of the file's entry, in nanoseconds; 0 when no check counts.
  std::int64_t modified = 0, changed = 0;
  std::chrono::steady_clock::time_point at;
};

class MappedFile {
 public:
  /// @param what the kind of file, for errors: "key file"
  /// @param whole whether all of it will be read soon, which costs less than a fault for every few pages
  /// @throws FormatError when it is empty or no regular file; std::system_error when it cannot be opened
  static std::shared_ptr<const MappedFile> open(const std::string& path, const std::string& what, bool whole);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// The content, of the size that the file had when it was mapped. Reading beyond the end of a file that was shortened
  /// later is an error, so files are replaced and never rewritten.
  Bytes bytes() const { return {static_cast<const std::uint8_t*>(address_), size_}; }

  /// Whether the content is as it was written, by its checksums. Costs a look at the file's times when it was checked
  /// lately and not touched since. A file that was cut off is not read; one found damaged stays so.
  bool intact() const;
  /// The mapping in use that begins at an address; undefined is nullptr.
  static std::shared_ptr<const MappedFile> at(const void* address);

 private:
  MappedFile(const std::string& path, const struct stat& status, void* address, const FileCheck& last);
  std::string path_;
  dev_t device_;
  ino_t inode_;
  void* address_;
  std::size_t size_;
  mutable std::mutex mutex_;
  mutable FileCheck last_;
  mutable bool damaged_ = false;
};

}  // namespace blindfit
