"""Was every act on a target covered by a permit that licd was right to give? Judged by the signed bytes alone.
May import: licd.v1 and cryptography; nothing else of licd, so that no fault of licd's can hide here as well."""
