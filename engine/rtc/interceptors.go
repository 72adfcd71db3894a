package rtc

import (
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
)

// lateFactory makes interceptors that come into being with a connection's first
// media. Each has goroutines and tickers of its own, which most connections, as
// they carry frames only, have no use for.
type lateFactory struct{ chain *interceptor.Registry }

// NewInterceptor implements interceptor.Factory.
func (f *lateFactory) NewInterceptor(id string) (interceptor.Interceptor, error) {
	return &late{build: func() (interceptor.Interceptor, error) { return f.chain.Build(id) }}, nil
}

type late struct {
	build func() (interceptor.Interceptor, error)

	mu     sync.Mutex
	out    interceptor.RTCPWriter // the connection's
	writer interceptor.RTCPWriter // that of the chain to it
	chain  interceptor.Interceptor
	closed bool
}

// made is the chain of interceptors, which it makes if need be.
func (l *late) made() interceptor.Interceptor {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chain != nil {
		return l.chain
	}
	chain, err := l.build()
	if err != nil || l.closed {
		chain = new(interceptor.NoOp) // the options are valid constants
	}
	l.chain = chain
	if l.out != nil {
		l.writer = chain.BindRTCPWriter(l.out)
	}
	return chain
}

// BindRTCPWriter implements interceptor.Interceptor. It is called for every
// connection, before the others.
func (l *late) BindRTCPWriter(w interceptor.RTCPWriter) interceptor.RTCPWriter {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = w
	return interceptor.RTCPWriterFunc(func(packets []rtcp.Packet, a interceptor.Attributes) (int, error) {
		l.mu.Lock()
		to := l.writer
		l.mu.Unlock()
		if to == nil {
			to = w
		}
		return to.Write(packets, a)
	})
}

// BindRTCPReader implements interceptor.Interceptor.
func (l *late) BindRTCPReader(r interceptor.RTCPReader) interceptor.RTCPReader {
	return l.made().BindRTCPReader(r)
}

// BindLocalStream implements interceptor.Interceptor.
func (l *late) BindLocalStream(s *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return l.made().BindLocalStream(s, w)
}

// UnbindLocalStream implements interceptor.Interceptor.
func (l *late) UnbindLocalStream(s *interceptor.StreamInfo) { l.made().UnbindLocalStream(s) }

// BindRemoteStream implements interceptor.Interceptor.
func (l *late) BindRemoteStream(s *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return l.made().BindRemoteStream(s, r)
}

// UnbindRemoteStream implements interceptor.Interceptor.
func (l *late) UnbindRemoteStream(s *interceptor.StreamInfo) { l.made().UnbindRemoteStream(s) }

// Close implements interceptor.Interceptor.
func (l *late) Close() error {
	l.mu.Lock()
	l.closed = true
	chain := l.chain
	l.mu.Unlock()
	if chain == nil {
		return nil
	}
	return chain.Close()
}
