"""The bundled sample: a simulated bilingual shop whose truth is known. See `docs/sample.md`."""
