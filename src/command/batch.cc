#include "command/batch.h"

#include "base/check.h"

namespace moonshard::command {

namespace {
// A batch that carried something large does not keep that memory in the pool.
constexpr size_t kKeptBytes = 64 * 1024;

void ClearKept(base::Buffer& buffer) {
  if (buffer.capacity() > kKeptBytes) {
    buffer.Free();
  } else {
    buffer.Clear();
  }
}

template <typename T>
void ClearKept(std::vector<T>& values) {
  if (values.capacity() * sizeof(T) > kKeptBytes) {
    std::vector<T>().swap(values);
  } else {
    values.clear();
  }
}
}  // namespace

// Smaller ones come and go too fast to be worth an atomic operation.
void Part::Charge(std::atomic<int64_t>& to) {
  auto bytes = static_cast<int64_t>(arena.capacity());
  if (bytes <= static_cast<int64_t>(kKeptBytes) && charged_bytes == 0) return;
  charged_to = &to;
  to.fetch_add(bytes - charged_bytes, std::memory_order_relaxed);
  charged_bytes = bytes;
}

void Part::Discharge() {
  if (charged_bytes == 0) return;
  charged_to->fetch_sub(charged_bytes, std::memory_order_relaxed);
  charged_bytes = 0;
}

void Part::Clear() {
  MS_DCHECK(reserved_bytes == 0);
  Discharge();
  items.clear();
  ran_count = 0;
  may_stop = given_up = false;
  ClearKept(keys);
  ClearKept(key_ends);
  ClearKept(locks);
  ClearKept(arena);
  whole_shard = false;
  position = Lsn();
  next_item = next_piece = taken_bytes = 0;
}

void Batch::Clear() {
  if (wait.state != BatchWait::State::kNone) [[unlikely]]
    ClearWait();
  client = nullptr;
  ClearKept(args);
  calls.clear();
  ClearKept(keys);
  error_texts.clear();
  ClearKept(bytes);
  ClearKept(body_reply);
  ClearKept(scratch_positions);
  end = BatchEnd::kNeedMore;
  consumed = 0;
  growth = 0;
  remote = barrier = ran_body = answered = transaction_open = false;
  stopped = held = holds_last = muted = false;
  ClearParts();
}

void Batch::ClearWait() {
  wait = BatchWait();
  for (size_t i = 0; i < part_count; ++i) {
    ClearKept(parts[i]->wait.nodes);
    parts[i]->wait.registered = parts[i]->wait.told = parts[i]->wait.heard = parts[i]->wait.confirm = false;
  }
}

void Batch::ClearParts() {
  for (size_t i = 0; i < part_count; ++i) {
    part_of_shard[parts[i]->shard.value()] = 0;
    parts[i]->Clear();
  }
  part_count = 0;
  parts_away = 0;
}

}  // namespace moonshard::command
