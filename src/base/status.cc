#include "base/status.h"

namespace moonshard::base {

struct Status::OwnedError {
  StaticError view;
  std::string text;
};

namespace {
const StaticError* ViewOf(uintptr_t word) {
  return reinterpret_cast<const StaticError*>(word & ~uintptr_t{1});
}
}  // namespace

std::string_view RespPrefix(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kErr:
    case Code::kInternal:
      return "ERR";
    case Code::kWrongType:
      return "WRONGTYPE";
    case Code::kNoAuth:
      return "NOAUTH";
    case Code::kWrongPass:
      return "WRONGPASS";
    case Code::kNoPerm:
      return "NOPERM";
    case Code::kOutOfMemory:
      return "OOM";
    case Code::kLoading:
      return "LOADING";
    case Code::kBusy:
      return "BUSY";
    case Code::kReadOnly:
      return "READONLY";
    case Code::kMisconf:
      return "MISCONF";
    case Code::kNoProto:
      return "NOPROTO";
    case Code::kExecAbort:
      return "EXECABORT";
    case Code::kNoScript:
      return "NOSCRIPT";
    case Code::kBusyKey:
      return "BUSYKEY";
    case Code::kConflict:
      return "CONFLICT";
    case Code::kUnblocked:
      return "UNBLOCKED";
    case Code::kCrossSlot:
      return "CROSSSLOT";
    case Code::kTryAgain:
      return "TRYAGAIN";
    case Code::kIo:
      return "IOERR";
  }
  return "ERR";
}

Status Status::WithText(Code code, std::string text) {
  auto* error = new OwnedError{{code, {}}, std::move(text)};
  error->view.text = error->text;
  Status status;
  // OwnedError begins with its StaticError view, so both forms are read the same way.
  status.word_ = reinterpret_cast<uintptr_t>(error) | kOwnedBit;
  return status;
}

Code Status::code() const {
  return ok() ? Code::kOk : ViewOf(word_)->code;
}

std::string_view Status::text() const {
  return ok() ? std::string_view() : ViewOf(word_)->text;
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  std::string out(RespPrefix(code()));
  out += ' ';
  out += text();
  return out;
}

void Status::CopyOwned(const Status& other) {
  word_ = WithText(other.code(), std::string(other.text())).Take();
}

void Status::ReleaseOwned() {
  delete reinterpret_cast<OwnedError*>(word_ & ~kOwnedBit);
}

}  // namespace moonshard::base
