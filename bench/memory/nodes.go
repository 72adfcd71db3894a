package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// valueSize is the number of bytes of a node's value, about.
const valueSize = 300

// node is one of the graph.
type node struct {
	id    string
	value json.RawMessage
	mark  string
}

// nodeID is that of the node with a number.
func nodeID(n int) string { return fmt.Sprintf("node-%06d", n) }

// newNode makes a node with a number: words that vary, and a mark, which is found
// again wherever the value is told.
func newNode(rng *rand.Rand, number int, mark string) node {
	var text strings.Builder
	for text.Len() < valueSize-40 {
		text.WriteString(words[rng.IntN(len(words))])
		text.WriteByte(' ')
	}
	value, err := json.Marshal(map[string]any{"text": text.String(), "mark": mark, "n": number})
	if err != nil {
		panic(err) // it cannot fail
	}
	return node{nodeID(number), value, mark}
}

func marks(nodes []node) []string {
	marks := make([]string, len(nodes))
	for i, n := range nodes {
		marks[i] = n.mark
	}
	return marks
}

// words are the same 2,000 in every run.
var words = func() []string {
	rng := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ba be bo ka ke ki la le lo ma mi mo na ne no ra ri ro sa se si ta te to va vi wu yo za zu")
	all := make([]string, 2000)
	for i := range all {
		for range 2 + rng.IntN(3) {
			all[i] += syllables[rng.IntN(len(syllables))]
		}
	}
	return all
}()
