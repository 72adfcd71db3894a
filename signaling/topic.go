package signaling

import (
	"crypto/sha1"
	"strconv"
	"strings"
)

// AppID is the application id that GenosDB's rooms use. It enters topics and
// keys.
const AppID = "1234"

// RootTopic is the topic on which the peers of a room announce themselves.
func RootTopic(room string) string { return topic(rootString(room)) }

// SelfTopic is the topic on which one peer of a room takes offers and answers.
func SelfTopic(room, peer string) string { return topic(rootString(room) + "@" + peer) }

func rootString(room string) string { return "GenosRTC@" + AppID + "@" + room }

// topic is the SHA-1 digest with each byte in base 36 and no padding, so that
// topics differ in length.
func topic(s string) string {
	var b strings.Builder
	for _, c := range sha1.Sum([]byte(s)) {
		b.WriteString(strconv.FormatUint(uint64(c), 36))
	}
	return b.String()
}

// Kind is the Nostr event kind that goes with a topic: an ephemeral one
// (NIP-01), 20000 to 29999. Topics are ASCII.
func Kind(topic string) int {
	sum := 0
	for i := range len(topic) {
		sum += int(topic[i])
	}
	return 20000 + sum%10000
}
