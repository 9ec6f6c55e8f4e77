"""Text-to-SQL: datasets, prompts made of schemas, shortening."""
