package rtc

import (
	"fmt"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// resendable is the number of packets of a track that are kept for each of its
// viewers, who ask for those that they lost: about a second of 720p.
const resendable = 512

// audioCodecs and videoCodecs are what we can pass on: all that browsers encode.
// Packets that are sent again go with the others, as that needs no payload type
// (RFC 4588) which might differ among viewers.
func audioCodecs() []webrtc.RTPCodecParameters {
	return []webrtc.RTPCodecParameters{
		codec(webrtc.MimeTypeOpus, 48_000, 2, "minptime=10;useinbandfec=1", 111),
		codec(webrtc.MimeTypeG722, 8_000, 0, "", rtp.PayloadTypeG722),
		codec(webrtc.MimeTypePCMU, 8_000, 0, "", rtp.PayloadTypePCMU),
		codec(webrtc.MimeTypePCMA, 8_000, 0, "", rtp.PayloadTypePCMA),
	}
}

func videoCodecs() []webrtc.RTPCodecParameters {
	codecs := []webrtc.RTPCodecParameters{
		codec(webrtc.MimeTypeVP8, 90_000, 0, "", 96),
		codec(webrtc.MimeTypeVP9, 90_000, 0, "profile-id=0", 98),
		codec(webrtc.MimeTypeAV1, 90_000, 0, "", 45),
	}
	payload := webrtc.PayloadType(102)
	for _, profile := range []string{"42e01f", "42001f", "4d001f", "64001f"} {
		for _, mode := range []int{1, 0} {
			format := fmt.Sprintf("level-asymmetry-allowed=1;packetization-mode=%d;profile-level-id=%s", mode, profile)
			codecs = append(codecs, codec(webrtc.MimeTypeH264, 90_000, 0, format, payload))
			payload++
		}
	}
	for i := range codecs {
		codecs[i].RTCPFeedback = videoFeedback()
	}
	return codecs
}

// videoFeedback is what a viewer may ask for: a packet again, or a keyframe.
func videoFeedback() []webrtc.RTCPFeedback {
	return []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
}

func codec(mime string, clock uint32, channels uint16, format string, payload webrtc.PayloadType) webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: clock, Channels: channels, SDPFmtpLine: format},
		PayloadType:        payload,
	}
}

// mediaOptions are what all connections know of media: codecs, and how packets
// are asked for and sent again (NACK, RFC 4585), reported (RFC 3550, section
// 6.4), and how a publisher learns what gets through (TWCC).
func mediaOptions() (func(*webrtc.API), func(*webrtc.API), error) {
	engine := new(webrtc.MediaEngine)
	for kind, codecs := range map[webrtc.RTPCodecType][]webrtc.RTPCodecParameters{
		webrtc.RTPCodecTypeAudio: audioCodecs(), webrtc.RTPCodecTypeVideo: videoCodecs(),
	} {
		for _, c := range codecs {
			if err := engine.RegisterCodec(c, kind); err != nil {
				return nil, nil, fmt.Errorf("register %s: %w", c.MimeType, err)
			}
		}
		engine.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, kind)
		// What we send has no numbers for it: there is no encoder of ours to be told.
		number := webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}
		if err := engine.RegisterHeaderExtension(number, kind, webrtc.RTPTransceiverDirectionRecvonly); err != nil {
			return nil, nil, fmt.Errorf("register %s: %w", number.URI, err)
		}
	}
	var chain interceptor.Registry
	responder, err1 := nack.NewResponderInterceptor(nack.ResponderSize(resendable))
	generator, err2 := nack.NewGeneratorInterceptor()
	received, err3 := report.NewReceiverInterceptor()
	sent, err4 := report.NewSenderInterceptor()
	feedback, err5 := twcc.NewSenderInterceptor()
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return nil, nil, fmt.Errorf("prepare the interceptors: %w", err)
		}
	}
	for _, f := range []interceptor.Factory{responder, generator, received, sent, feedback} {
		chain.Add(f)
	}
	var late interceptor.Registry
	late.Add(&lateFactory{&chain})
	return webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(&late), nil
}
