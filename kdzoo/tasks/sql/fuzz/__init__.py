"""Building test suites (Zhong et al. 2020, "Semantic Evaluation for Text-to-SQL with Distilled Test Suites").

A suite is a database's own file and a few random databases under the same schema, chosen because they tell
the gold queries from near neighbours of theirs, the mutants, which the one database cannot tell apart.
"""
