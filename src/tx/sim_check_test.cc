// What must hold at the end of a simulated run, and after a crash at any moment of it.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tx/sim_world.h"

namespace moonshard::tx::sim {

// One order on all shards: each log's cross-shard numbers rise, and a transaction has one number everywhere.
void World::CheckOrder() {
  for (auto& store : stores_) {
    const Op* last = nullptr;
    for (const Record& record : store->log) {
      if (!record.crosses) continue;
      const Op& op = ops_[static_cast<size_t>(record.op)];
      if (record.number != op.tx.timestamp.number)
        Fail(fmt::format("(c) op {} is logged under two timestamps", record.op));
      if (last != nullptr && !(last->tx.timestamp < op.tx.timestamp))
        Fail(fmt::format("(c) op {} is logged behind op {}", op.id, last->id));
      last = &op;
    }
  }
  for (Op& op : ops_) {
    for (OpPart& info : op.infos) {
      bool logged = info.position != 0;
      if (logged != (op.writes && !op.abort))
        Fail(fmt::format("op {} has {} record on shard {}", op.id, logged ? "a" : "no", info.shard));
    }
  }
}

namespace {
struct Graph {
  std::vector<std::set<int>> after;
  explicit Graph(size_t nodes) : after(nodes) {}
  void Edge(int before, int behind) {
    if (before >= 0 && behind >= 0 && before != behind) after[static_cast<size_t>(before)].insert(behind);
  }
  // Nodes that lie on a cycle or behind one; empty if there is none.
  std::vector<int> Cyclic() const {
    std::vector<int> in(after.size(), 0);
    for (auto& next : after) {
      for (int node : next) ++in[static_cast<size_t>(node)];
    }
    std::vector<int> ready;
    for (size_t node = 0; node < in.size(); ++node) {
      if (in[node] == 0) ready.push_back(static_cast<int>(node));
    }
    std::vector<bool> placed(in.size(), false);
    while (!ready.empty()) {
      int node = ready.back();
      ready.pop_back();
      placed[static_cast<size_t>(node)] = true;
      for (int next : after[static_cast<size_t>(node)]) {
        if (--in[static_cast<size_t>(next)] == 0) ready.push_back(next);
      }
    }
    std::vector<int> left;
    for (size_t node = 0; node < in.size(); ++node) {
      if (!placed[node]) left.push_back(static_cast<int>(node));
    }
    return left;
  }
};
}  // namespace

// Strict serializability: what read a version comes after its writer and before the writer of the next one,
// and what began after an answer comes after what was answered. No cycle, and the timestamps agree.
void World::CheckSerializable() {
  Graph graph(ops_.size());
  for (auto& store : stores_) {
    for (auto& versions : store->cells) {
      for (size_t v = 1; v < versions.size(); ++v) graph.Edge(versions[v - 1].writer, versions[v].writer);
    }
  }
  for (Op& op : ops_) {
    for (OpPart& info : op.infos) {
      for (const Seen& seen : info.seen) {
        const std::vector<Version>& versions = stores_[seen.shard]->cells[static_cast<size_t>(seen.cell)];
        size_t version = static_cast<size_t>(seen.version);
        graph.Edge(versions[version].writer, op.id);
        if (version + 1 < versions.size()) graph.Edge(op.id, versions[version + 1].writer);
      }
    }
  }
  for (Op& first : ops_) {
    for (Op& second : ops_) {
      if (first.responded < second.invoked) graph.Edge(first.id, second.id);
    }
  }
  std::vector<int> cyclic = graph.Cyclic();
  if (!cyclic.empty())
    Fail(fmt::format("(s) not strictly serializable: {} operations in a knot", cyclic.size()));
  for (Op& op : ops_) {
    if (!op.crosses || op.abort) continue;
    for (int next : graph.after[static_cast<size_t>(op.id)]) {
      Op& behind = ops_[static_cast<size_t>(next)];
      if (!behind.crosses || behind.abort) continue;
      if (!(op.tx.timestamp < behind.tx.timestamp)) {
        Fail(fmt::format("(c) op {} comes before op {} and has no smaller timestamp", op.id, behind.id));
      }
    }
    if (op.type != OpType::kTokenRead) continue;
    int tokens = 0;
    for (OpPart& info : op.infos) {
      for (const Seen& seen : info.seen)
        tokens += stores_[seen.shard]->cells[0][static_cast<size_t>(seen.version)].token;
    }
    if (tokens != 1) Fail(fmt::format("(s) op {} sees {} tokens", op.id, tokens));
  }
}

// ---- crashes

// Rule 5: up to which position of the shard's log may answers have left?
uint64_t World::Watermark() const {
  uint64_t watermark = 0;
  for (const FloorReader& reader : readers_) watermark = std::max(watermark, reader.watermark());
  return watermark;
}

uint64_t World::AnswerLimit(uint16_t shard, uint64_t watermark) const {
  const Store& store = *stores_[shard];
  uint64_t limit = 0;
  for (uint64_t position = 1; position <= store.durable; ++position) {
    const Record& record = store.log[position - 1];
    if (record.crosses && record.number >= watermark) break;
    limit = position;
  }
  return std::max(limit, store.opened);
}

// May the operation have been answered? Its own records and what it read are behind open gates.
bool World::Answered(const Op& op, const std::vector<uint64_t>& limits) const {
  if (op.responded == 0) return false;
  for (const OpPart& info : op.infos) {
    if (info.position > limits[info.shard]) return false;
    for (const Seen& seen : info.seen) {
      const Version& version =
          stores_[seen.shard]->cells[static_cast<size_t>(seen.cell)][static_cast<size_t>(seen.version)];
      if (version.position > limits[seen.shard]) return false;
    }
  }
  return true;
}

// Rule 10.
std::vector<uint64_t> World::Recover(std::vector<uint64_t> cut) const {
  for (bool changed = true; changed;) {
    changed = false;
    for (uint16_t shard = 0; shard < config_.shards; ++shard) {
      for (uint64_t position = 1; position <= cut[shard]; ++position) {
        const Record& record = stores_[shard]->log[position - 1];
        if (!record.crosses) continue;
        for (const OpPart& info : ops_[static_cast<size_t>(record.op)].infos) {
          if (info.position != 0 && info.position <= cut[info.shard]) continue;
          cut[shard] = position - 1;
          changed = true;
          break;
        }
      }
    }
  }
  return cut;
}

void World::CheckCrash() {
  std::vector<uint64_t> limits;
  for (uint16_t shard = 0; shard < config_.shards; ++shard) limits.push_back(AnswerLimit(shard, Watermark()));
  for (int trial = 0; trial < 4; ++trial) {
    // Any part of the tail may have reached the disk; none of it and all of it are the likeliest to show a
    // mistake.
    std::vector<uint64_t> on_disk;
    for (auto& store : stores_) {
      uint64_t tail = store->log.size() - store->durable;
      uint64_t extra = trial == 0         ? 0
                       : random_.OneIn(3) ? tail
                       : random_.OneIn(2) ? 0
                                          : random_.Below(tail + 1);
      on_disk.push_back(store->durable + extra);
    }
    ++crash_count_;
    CheckRecovered(Recover(on_disk), limits);
  }
}

void World::CheckRecovered(const std::vector<uint64_t>& cut, const std::vector<uint64_t>& limits) {
  for (const Op& op : ops_) {
    bool answered = Answered(op, limits);
    size_t logged = 0, kept = 0;
    for (const OpPart& info : op.infos) {
      logged += info.position != 0;
      kept += info.position != 0 && info.position <= cut[info.shard];
    }
    if (answered && kept != logged) Fail(fmt::format("(a) op {} was answered and is lost", op.id));
    if (kept != 0 && kept != op.infos.size()) Fail(fmt::format("(b) op {} is half present", op.id));
    if (!answered && kept == 0) continue;
    for (const OpPart& info : op.infos) {
      for (const Seen& seen : info.seen) {
        const Version& version =
            stores_[seen.shard]->cells[static_cast<size_t>(seen.cell)][static_cast<size_t>(seen.version)];
        if (version.writer == op.id || version.position <= cut[seen.shard]) continue;
        Fail(fmt::format("({}) op {} has read from op {}, which is lost", answered ? "e" : "f", op.id,
                         version.writer));
      }
    }
  }
}

}  // namespace moonshard::tx::sim
