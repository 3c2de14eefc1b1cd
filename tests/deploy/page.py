FILE=None
def text(): return ""
