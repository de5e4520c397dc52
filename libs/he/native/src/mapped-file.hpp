// A file mapped into memory, read-only. All threads of the process share one mapping of a file.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include "modulus.hpp"
#include "seal-bytes.hpp"

namespace blindfit {

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

 private:
  MappedFile(void* address, std::size_t size) : address_(address), size_(size) {}
  void* address_;
  std::size_t size_;
};

}  // namespace blindfit
