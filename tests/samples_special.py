def rows(sample, spread):
    return []
