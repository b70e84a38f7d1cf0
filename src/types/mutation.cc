#include "types/mutation.h"

namespace moonshard::types {

void MutationSink::Attach(MutationConsumer& consumer) {
  consumers_.push_back(&consumer);
}

void MutationSink::Detach(MutationConsumer& consumer) {
  std::erase(consumers_, &consumer);
}

void MutationSink::Deliver(const Mutation& mutation) {
  for (MutationConsumer* consumer : consumers_) consumer->OnMutation(mutation);
}

}  // namespace moonshard::types
