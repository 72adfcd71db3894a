// Cameras: a page that publishes one with WHIP, and pages that show what a room's peers stream.

const shown = new Map() // stream id → video element
const cameras = new Map() // URL of the session → {pc, media}

/** show plays a stream, and logs that it came, and which of its tracks went. It is called for each track. */
export function show(streams, stream, peer, meta) {
  const kinds = stream.getTracks().map(track => track.kind).sort()
  streams.push({ event: 'add', peer, meta, id: stream.id, kinds })
  if (shown.has(stream.id)) return
  const video = document.createElement('video')
  video.muted = video.autoplay = true
  video.srcObject = stream
  document.body.append(video)
  shown.set(stream.id, video)
  stream.addEventListener('removetrack', ({ track }) =>
    streams.push({ event: 'gone', peer, id: stream.id, kinds: [track.kind] }),
  )
}

export function calls(streams) {
  return {
    streams: () => streams,

    /** pictures tells of each stream that is shown how large it is, and how many frames were decoded. */
    pictures: () =>
      Array.from(shown, ([id, video]) => ({
        id,
        width: video.videoWidth,
        height: video.videoHeight,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
      })),

    /** publish sends the camera by WHIP (RFC 9725), and resolves with the URL of the session. */
    async publish(endpoint) {
      const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 480 } })
      const pc = new RTCPeerConnection()
      for (const track of media.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [media] })
      await pc.setLocalDescription()
      while (pc.iceGatheringState !== 'complete') {
        await new Promise(resolve => pc.addEventListener('icegatheringstatechange', resolve, { once: true }))
      }
      const headers = { 'content-type': 'application/sdp' }
      const response = await fetch(endpoint, { method: 'POST', headers, body: pc.localDescription.sdp })
      if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`)
      await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() })
      const url = new URL(response.headers.get('location'), endpoint).href
      cameras.set(url, { pc, media })
      return url
    },

    /** unpublish ends the session: by DELETE, or by the end of the connection alone. */
    async unpublish(url, { silently = false } = {}) {
      const { pc, media } = cameras.get(url)
      cameras.delete(url)
      const at = Date.now()
      if (silently) pc.close()
      else await fetch(url, { method: 'DELETE' })
      pc.close()
      for (const track of media.getTracks()) track.stop()
      return at
    },
  }
}
