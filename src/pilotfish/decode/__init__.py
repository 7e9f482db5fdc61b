"""The next-token engine for local models: one model fast, several in lockstep, draft and verify.

Three words hold it together. A `Decoder` is a language model that can be fed tokens, asked for logits and rolled back;
a combination of decoders in lockstep is a decoder. A `Sampler` turns one row's logits into its next token. A `Strategy`
advances a batch of rows by one token (plain) or by several (draft and verify). `Scheduler` runs requests of different
lengths through a strategy together, and `DecodedModel` shows all of it to the world as a model.
"""
