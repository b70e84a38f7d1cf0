#pragma once
// The only control-flow macros of the project, and the inlining hints of the hot path.

#define MS_CONCAT_INNER(a, b) a##b
#define MS_CONCAT(a, b) MS_CONCAT_INNER(a, b)

#define MS_ALWAYS_INLINE inline __attribute__((always_inline))
#define MS_NOINLINE __attribute__((noinline))

// Returns the Status of `expr` from the enclosing function unless it is OK.
#define MS_RETURN_IF_ERROR(expr)                                                    \
  do {                                                                              \
    if (::moonshard::base::Status ms_status = (expr); !ms_status.ok()) [[unlikely]] \
      return ms_status;                                                             \
  } while (false)

// Evaluates `expr` (a Result<T>); on success declares `decl` from its value, otherwise returns its Status.
#define MS_ASSIGN_OR_RETURN(decl, expr) MS_ASSIGN_OR_RETURN_INNER(MS_CONCAT(ms_result_, __LINE__), decl, expr)
#define MS_ASSIGN_OR_RETURN_INNER(tmp, decl, expr) \
  auto tmp = (expr);                               \
  if (!tmp.ok()) [[unlikely]]                      \
    return std::move(tmp).status();                \
  decl = std::move(tmp).value()
