"""Never lost, never twice: the proof. An exhaustive model, and power cuts replayed from the real writer."""
