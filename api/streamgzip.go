package api

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// streamZip compresses one stream. Between two writes it keeps no compressor,
// which would take a hundred kilobytes for each reader, only the end of what
// was written last: the next event is much like it, and refers to it.
type streamZip struct {
	digest, size uint32 // of everything written (RFC 1952 section 2.3.1)
	tail         []byte // at most zipTail bytes
}

// zipTail is more than the usual event has.
const zipTail = 256

// gzipHead is the header of a gzip member without a name or time, by an unknown
// system (RFC 1952 section 2.3).
const gzipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

var zipBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func releaseZip(b *bytes.Buffer) {
	if b.Cap() <= 4*batchBytes {
		zipBuffers.Put(b)
	}
}

// write compresses p so that a reader can decompress all of it at once.
func (z *streamZip) write(out *bytes.Buffer, p []byte) {
	if z.tail == nil {
		out.WriteString(gzipHead)
		z.tail = make([]byte, 0, zipTail)
	}
	// Writing to memory does not fail.
	_ = flate.StatelessDeflate(out, p, false, z.tail)
	z.digest = crc32.Update(z.digest, crc32.IEEETable, p)
	z.size += uint32(len(p))
	if keep := zipTail - len(p); keep < len(z.tail) {
		z.tail = append(z.tail[:0], z.tail[len(z.tail)-max(keep, 0):]...)
	}
	z.tail = append(z.tail, p[max(0, len(p)-zipTail):]...)
}

// writeShared is write for a frame that other readers are sent too: those who
// have the same behind them are sent the same bytes. The frame alone is what
// the next one refers to, so that readers of one log come to that.
func (z *streamZip) writeShared(out *bytes.Buffer, p []byte, zips *sharedZips) {
	zips.write(out, p, z.tail)
	z.digest = crc32.Update(z.digest, crc32.IEEETable, p)
	z.size += uint32(len(p))
	z.tail = append(z.tail[:0], p[max(0, len(p)-zipTail):]...)
}

// sharedZips are the frames that were compressed lately.
type sharedZips [64]atomic.Pointer[sharedZip]

type sharedZip struct{ frame, tail, out []byte }

// maxSharedZip is the longest frame that is kept: the others are rare.
const maxSharedZip = 4 << 10

func (s *sharedZips) write(out *bytes.Buffer, frame, tail []byte) {
	slot := &s[crc32.ChecksumIEEE(frame)%uint32(len(s))]
	if z := slot.Load(); z != nil && bytes.Equal(z.frame, frame) && bytes.Equal(z.tail, tail) {
		out.Write(z.out)
		return
	}
	from := out.Len()
	_ = flate.StatelessDeflate(out, frame, false, tail)
	if len(frame) <= maxSharedZip {
		slot.Store(&sharedZip{frame, bytes.Clone(tail), bytes.Clone(out.Bytes()[from:])})
	}
}

// end ends the member, so that its reader knows that nothing is missing.
func (z *streamZip) end(out *bytes.Buffer) {
	_ = flate.StatelessDeflate(out, nil, true, nil)
	var tail [8]byte
	binary.LittleEndian.PutUint32(tail[:4], z.digest)
	binary.LittleEndian.PutUint32(tail[4:], z.size)
	out.Write(tail[:])
}
