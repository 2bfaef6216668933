"""A served model in virtual time: what an engine on one GPU would take for the requests that it is sent.

Nothing here computes a token. `clock` is an event loop whose time jumps; `cards` and `cost` hold the arithmetic;
`memory` the key-value cache; `engine` the batching; `model` the port that the agent talks to. docs/orchestration.md
says what is assumed.
"""
