package graph

// Whole returns an answer that is everything as browsers give it, a `fullStateSync`.
func (a *Answer) Whole(last Timestamp) []byte {
	b := []byte(`[{"type":"fullStateSync","graphData":{`)
	first := true
	for i := range a.items {
		it := &a.items[i]
		if it.removed {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		e := a.values[it.id]
		b = appendNode(b, &e, a.served(e.Edges))
	}
	b = append(b, `},"removals":[`...)
	first = true
	for i := range a.items {
		if !a.items[i].removed {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		e := a.values[a.items[i].id]
		op := e.removal()
		b = appendOp(b, &op)
	}
	b = appendTimestamp(append(b, ']'), last, true)
	return append(b, `}]`...)
}
