"""The generated text-to-SQL benchmark that kdzoo brings along."""
