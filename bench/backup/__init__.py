"""The backup of an installation with many documents, beside what else backs it up."""
