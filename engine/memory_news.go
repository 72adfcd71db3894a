package engine

import "time"

// newsAfter is how long what the answers of peers bring is collected for the others.
const newsAfter = time.Second

// news is what an answer of a peer has brought: the others have perhaps no link with it
// yet, and pages tell each other no more than their last operations.
type news struct {
	since uint64 // what came after it; 0: there are none
	by    *asker // who told them; nil: several
	aside bool   // some were told to us alone
}

// learned has the others be told what a peer's answer has brought after the change with
// the Seq since. Of one that was for all in the mesh those without cells are told.
func (m *Memory) learned(by *asker, since uint64, all bool) {
	if m.news.since > 0 {
		if m.news.by != by {
			m.news.by = nil
		}
		m.news.aside = m.news.aside || !all
		return
	}
	m.news = news{max(since, 1), by, !all}
	m.room.after(newsAfter, func() {
		n := m.news
		m.news = news{}
		for _, a := range m.askers {
			rem := m.room.remotes[a.peer]
			if a != n.by && a.answered > 0 && (n.aside || rem != nil && rem.kind == kindFull) {
				m.behind(a, n.since)
			}
		}
		if n.aside && m.anyFar() {
			m.behind(m.others, n.since)
		}
	})
}
