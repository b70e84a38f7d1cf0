#pragma once
// MS_CHECK guards what would corrupt data and stays on in release builds; MS_DCHECK is for the rest.
// Client input never reaches either: it yields a Status.

namespace moonshard::base {
// Prints file, line and condition to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition) noexcept;
}  // namespace moonshard::base

#define MS_CHECK(condition)                                           \
  do {                                                                \
    if (!(condition)) [[unlikely]]                                    \
      ::moonshard::base::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#ifdef NDEBUG
#define MS_DCHECK(condition) \
  do {                       \
    (void)sizeof(condition); \
  } while (false)
#else
#define MS_DCHECK(condition) MS_CHECK(condition)
#endif
