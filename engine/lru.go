package engine

import lru "github.com/hashicorp/golang-lru/v2/simplelru"

// newLRU forgets what was not asked for for longest. Its size is a positive constant.
func newLRU[K comparable, V any](size int, evicted lru.EvictCallback[K, V]) *lru.LRU[K, V] {
	l, err := lru.NewLRU(size, evicted)
	if err != nil {
		panic(err)
	}
	return l
}
