#pragma once
// Status: one machine word that is either OK or points to an error. Errors a client can cause have static
// text (StaticError below), so making and copying them allocates nothing. Result<T> is a value or a Status.
//
// Safe from any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace moonshard::base {

// Each code maps to exactly one RESP error prefix (RespPrefix).
enum class Code : uint8_t {
  kOk,
  kErr,          // ERR: the plain error
  kWrongType,    // WRONGTYPE
  kNoAuth,       // NOAUTH
  kWrongPass,    // WRONGPASS
  kNoPerm,       // NOPERM
  kOutOfMemory,  // OOM
  kLoading,      // LOADING
  kBusy,         // BUSY
  kReadOnly,     // READONLY
  kMisconf,      // MISCONF
  kNoProto,      // NOPROTO
  kExecAbort,    // EXECABORT
  kNoScript,     // NOSCRIPT
  kBusyKey,      // BUSYKEY
  kConflict,     // CONFLICT: an optimistic transaction lost
  kUnblocked,    // UNBLOCKED
  kCrossSlot,    // CROSSSLOT: cluster mode only
  kTryAgain,     // TRYAGAIN
  kInternal,     // ERR: our fault
  kIo,           // IOERR: the operating system refused
};

std::string_view RespPrefix(Code code);

// The static form of an error. Define as `inline constexpr StaticError kFoo{Code::kErr, "text"};`.
struct StaticError {
  Code code;
  std::string_view text;  // without the RESP prefix
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(const StaticError& error)
      : word_(reinterpret_cast<uintptr_t>(&error)) {}  // NOLINT: implicit by design
  Status(const Status& other) { CopyFrom(other); }
  Status(Status&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  Status& operator=(const Status& other) {
    if (this != &other) {
      Release();
      CopyFrom(other);
    }
    return *this;
  }
  Status& operator=(Status&& other) noexcept {
    if (this != &other) {
      Release();
      word_ = std::exchange(other.word_, 0);
    }
    return *this;
  }
  ~Status() { Release(); }

  static Status Ok() { return {}; }
  // Allocates: for start-up, configuration and disk errors, never for a command's hot path.
  static Status WithText(Code code, std::string text);

  bool ok() const { return word_ == 0; }
  Code code() const;
  std::string_view text() const;
  // "PREFIX text", as a client sees it after the '-'.
  std::string ToString() const;

 private:
  struct OwnedError;
  static constexpr uintptr_t kOwnedBit = 1;
  bool owned() const { return (word_ & kOwnedBit) != 0; }
  void CopyFrom(const Status& other) {
    if (other.owned()) {
      CopyOwned(other);
    } else {
      word_ = other.word_;
    }
  }
  void Release() {
    if (owned()) ReleaseOwned();
  }
  void CopyOwned(const Status& other);
  void ReleaseOwned();
  uintptr_t Take() { return std::exchange(word_, 0); }

  uintptr_t word_ = 0;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<1>, std::move(value)) {}        // NOLINT: implicit by design
  Result(Status status) : state_(std::in_place_index<0>, std::move(status)) {  // NOLINT
    MS_DCHECK(!std::get<0>(state_).ok());
  }
  Result(const StaticError& error) : Result(Status(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 1; }
  Status status() const& { return ok() ? Status() : std::get<0>(state_); }
  Status status() && { return ok() ? Status() : std::move(std::get<0>(state_)); }
  const T& value() const& { return *ValuePtr(); }
  T& value() & { return *const_cast<T*>(ValuePtr()); }
  T&& value() && { return std::move(*const_cast<T*>(ValuePtr())); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  const T* operator->() const { return ValuePtr(); }
  T* operator->() { return const_cast<T*>(ValuePtr()); }

 private:
  const T* ValuePtr() const {
    MS_CHECK(ok());
    return std::get_if<1>(&state_);
  }
  std::variant<Status, T> state_;
};

}  // namespace moonshard::base

#include "base/macros.h"  // IWYU pragma: export
