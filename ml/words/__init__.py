"""Words of texts in English, Chinese and both: for what works on words; the encoder reads raw text."""
