package simnet

// Streams keep the uses of the seed apart, so that none shifts another.
const (
	streamRand = iota + 1
	streamNet
	streamID
	streamPair
	streamPlace
)

// mix hashes a seed with two values (SplitMix64's finisher over both).
func mix(seed, a, b uint64) uint64 {
	return finish(finish(finish(seed+0x9e3779b97f4a7c15)^a+0x9e3779b97f4a7c15) ^ b + 0x9e3779b97f4a7c15)
}

func finish(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
