#include "shard/mailbox.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "base/random.h"

namespace moonshard::shard {
namespace {

Message Numbered(uint64_t number) {
  Message message;
  message.word[0] = number;
  message.word[5] = ~number;
  return message;
}

TEST(Mailbox, BehavesLikeABoundedQueueThatPublishesInBatches) {
  base::Random random(1);
  Mailbox mailbox(8);
  std::deque<uint64_t> unpublished, published;
  uint64_t next = 0;
  size_t freed_backlog = 0;  // run, but their slots not freed
  for (int step = 0; step < 200'000; ++step) {
    switch (random.Below(4)) {
      case 0: {
        const bool room = unpublished.size() + published.size() + freed_backlog < 8;
        ASSERT_EQ(mailbox.TryWrite(Numbered(next)), room);
        if (room) unpublished.push_back(next++);
        break;
      }
      case 1:
        mailbox.Publish();
        published.insert(published.end(), unpublished.begin(), unpublished.end());
        unpublished.clear();
        break;
      case 2: {
        ASSERT_EQ(mailbox.Poll(), published.size());
        if (published.empty()) break;
        const size_t ahead = random.Below(published.size());
        ASSERT_EQ(mailbox.Peek(ahead).word[0], published[ahead]);
        ASSERT_EQ(mailbox.Peek(0).word[5], ~published[0]);
        mailbox.Advance();
        published.pop_front();
        ++freed_backlog;
        break;
      }
      case 3:
        mailbox.FreeRun();
        freed_backlog = 0;
        break;
    }
  }
  EXPECT_GT(next, 10'000u);
}

TEST(Mailbox, TwoThreadsLoseAndReorderNothing) {
  constexpr uint64_t kMessages = 500'000;
  Mailbox mailbox(64);
  std::thread producer([&] {
    base::Random random(2);
    uint64_t next = 0;
    while (next < kMessages) {
      for (uint64_t batch = random.Below(40); batch != 0 && next < kMessages; --batch) {
        if (!mailbox.TryWrite(Numbered(next))) break;
        ++next;
      }
      mailbox.Publish();
      if (random.OneIn(8)) std::this_thread::yield();
    }
  });
  uint64_t expected = 0;
  while (expected < kMessages) {
    const size_t count = mailbox.Poll();
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(mailbox.Peek(0).word[0], expected);
      ASSERT_EQ(mailbox.Peek(0).word[5], ~expected);
      mailbox.Advance();
      ++expected;
    }
    if (count != 0) {
      mailbox.FreeRun();
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_EQ(mailbox.Poll(), 0u);
}

}  // namespace
}  // namespace moonshard::shard
