package signaling

import (
	"slices"

	"github.com/nbd-wtf/go-nostr"
)

// filterTopics bounds one filter: public relays refuse long ones.
const filterTopics = 20

// filtersFor asks for the events of some topics (NIP-01): their kinds and x
// tags, since a time if that is not nil.
func filtersFor(topics []string, since *nostr.Timestamp) nostr.Filters {
	var filters nostr.Filters
	for some := range slices.Chunk(topics, filterTopics) {
		kinds := make([]int, len(some))
		for i, topic := range some {
			kinds[i] = Kind(topic)
		}
		slices.Sort(kinds)
		filters = append(filters, nostr.Filter{
			Kinds: slices.Compact(kinds),
			Tags:  nostr.TagMap{"x": some},
			Since: since,
		})
	}
	return filters
}
