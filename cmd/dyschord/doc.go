// Command dyschord runs and talks to a dyschord cluster.
//
//	dyschord dev                   a whole cluster in this process, on loopback
//	dyschord node                  one node
//	dyschord put KEY [VALUE]       store a value: the argument, - for stdin, @file
//	dyschord get KEY               print a value
//	dyschord delete KEY            remove a key
//	dyschord lookup KEY            who holds a key, and how the lookup went
//	dyschord status                members, slots and their health
//	dyschord leave --admin URL     make a node hand over its data and stop
//	dyschord config print          effective settings and where each came from
//	dyschord config example        a settings file with everything explained
//	dyschord version
//
// # Settings
//
// The settings of a node stand in one table (settingTable) with their names,
// defaults, limits and explanations. Flags, DYSCHORD_ environment variables, the
// keys of the settings file, `config print`, `config example` and the file
// docs/dyschord.example.yaml are all made from it. Precedence: flag, environment,
// file, default. What is wrong is refused with the setting's name, where it was
// set, and what is allowed; so is a setting nobody knows.
//
// Client commands read no file. They take --gateway (or DYSCHORD_GATEWAY) and
// --token (or DYSCHORD_TOKEN), try the gateways in turn, and repeat only what is
// safe to repeat.
//
// # Exit codes
//
//	0 done            3 key not found
//	1 failed          4 condition failed
//	2 usage           5 outcome unknown: the write may or may not have happened
//
// status exits with 1 when the cluster is not healthy. Errors are one line on
// stderr that ends in what to do; results go to stdout.
package main
