// Loaded before a page's scripts: counts the frames of its links by the name of their channel.

{
  const counts = (window.frameCounts = {})
  const decoder = new TextDecoder()
  const count = data => {
    const name = decoder.decode(new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, 12)).replaceAll('\0', '')
    counts[name] = (counts[name] ?? 0) + 1
  }
  const watched = channel => {
    channel.addEventListener('message', ({ data }) => count(data))
    const send = channel.send
    channel.send = data => {
      count(data)
      return send.call(channel, data)
    }
    return channel
  }
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args)
      this.addEventListener('datachannel', ({ channel }) => watched(channel))
    }
    createDataChannel(...args) {
      return watched(super.createDataChannel(...args))
    }
  }
}
